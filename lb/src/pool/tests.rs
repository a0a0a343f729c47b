//! Tables and properties of the pool.
