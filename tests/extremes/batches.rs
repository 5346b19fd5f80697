//! No matrix of a batch feels its neighbours.
