"""Landscapes S(x, y): from sampled histograms to maps with errors, and what is read off them."""
