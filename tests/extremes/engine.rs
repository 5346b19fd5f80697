//! What derivatives mean where values are random, constant or read.
