"""Protection of the routes: hosts, headers, sizes, rates, sessions and forms."""
