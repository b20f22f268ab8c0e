//! Refusals as a tonic client reports them.

use tonic::{Response, Status};

use super::chain;
use super::grpc::GrpcRefusals;
use super::verdict::{Judge, Verdict};

impl GrpcRefusals {
    /// What a status of a tonic client says.
    ///
    /// One that the client made of an error has it among its sources, and is judged by that: a call that was
    /// [not tried](crate::NotTried) or never processed may be tried again, a broken connection is no refusal of the server,
    /// whatever code tonic gives it. One that came from the server is judged by its code, metadata and details.
    ///
    /// What only the response knew is lost here: a proxy's 503 with a body is `INTERNAL`, and counts as served. Put
    /// [`name_status`](Self::name_status) below the client to have it told apart.
    pub fn tonic_status(&self, status: &Status) -> Verdict {
        chain::status(status)
    }
}

impl<T> Judge<Response<T>, Status> for GrpcRefusals {
    fn judge(&self, outcome: &Result<Response<T>, Status>) -> Verdict {
        outcome.as_ref().map_or_else(chain::status, |_| Verdict::Served)
    }
}
