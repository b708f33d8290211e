"""Line displays for the customer: bytes as pure functions, and the LineDisplay that sends them."""
