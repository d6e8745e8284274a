"""A laboratory small enough for a web page: the noise-free reduction in double precision, the same bits everywhere."""
