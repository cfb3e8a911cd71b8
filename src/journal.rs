//! Effects on disk: written before the deed, so that they can be undone.
