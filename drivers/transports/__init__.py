"""Lines to devices: TCP, serial ports and files behind one small protocol."""
