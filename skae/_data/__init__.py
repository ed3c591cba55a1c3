"""Reading of samples, their statistics, and dependence between samples. Nothing here uses a network."""
