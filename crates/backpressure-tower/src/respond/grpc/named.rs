//! A tonic service under a [`ShedLayer`](crate::ShedLayer) is still that service.

use tonic::server::NamedService;

use crate::shed::Shed;

impl<S: NamedService, C, R> NamedService for Shed<S, C, R> {
    const NAME: &'static str = S::NAME;
}
