"""Tests that train in several processes on one machine; `make distributed` runs them."""
