//! The transports. One kind is one file.

mod channels;
mod codec;
mod front;
pub mod grpc;
mod http1;
mod http2;
mod reqwest;
mod streams;
mod tower;
mod websocket;

pub use http1::hold;

use crate::case::Case;

pub fn all() -> Vec<Case> {
    [
        channels::cases(),
        streams::cases(),
        tower::cases(),
        codec::cases(),
        http1::cases(),
        http2::cases(),
        grpc::cases(),
        websocket::cases(),
        reqwest::cases(),
        front::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let names: Vec<_> = super::all().iter().map(|case| case.name).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        assert!(names.iter().all(|name| !name.contains('|')), "a name is a cell of a table");
    }
}
