//! Networks of containers: which network namespaces there are and what they are
//! called ([`names`], [`survey`]), which one somebody means ([`place`]), and how
//! one is given a name that `ip` can find ([`expose`]), or a way out ([`bridge`],
//! [`connect`]).

pub mod bridge;
pub mod connect;
pub mod expose;
pub mod names;
pub mod place;
pub mod survey;
