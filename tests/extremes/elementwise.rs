//! Functions of one and two elements, and losses, at the ends of the range and near poles.
