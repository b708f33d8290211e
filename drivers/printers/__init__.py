"""Receipt printers: ESC/POS bytes and status as pure functions, and the POSPrinter that uses them."""
