"""What stands between the network and the routes: hosts, headers, sizes, rates, sessions and forms."""
