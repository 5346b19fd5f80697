//! Factorisations of matrices that are hard, at every order.
