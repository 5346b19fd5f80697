//! Files as NumPy and ordinary programs write and read them.
