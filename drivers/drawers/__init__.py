"""Cash drawers: what hangs on a printer's drawer socket."""
