//! Refusals as a tonic client reports them.

use std::error::Error;

use tonic::{Code, Response, Status};

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
        verdict(status)
    }
}

impl<T> Judge<Response<T>, Status> for GrpcRefusals {
    fn judge(&self, outcome: &Result<Response<T>, Status>) -> Verdict {
        outcome.as_ref().map_or_else(verdict, |_| Verdict::Served)
    }
}

pub(super) fn verdict(status: &Status) -> Verdict {
    let by_code =
        || GrpcRefusals.status_with_details(status.code() as i32, status.metadata().as_ref(), status.details());
    let Some(source) = status.source() else { return by_code() };
    chain::known(source).unwrap_or_else(|| match status.code() {
        // Those that tonic gives to errors of the transport and of this side. Nobody knows whether the call took effect.
        Code::Cancelled | Code::Unknown | Code::Internal | Code::Unavailable | Code::ResourceExhausted => {
            Verdict::RefusedForGood
        }
        _ => by_code(),
    })
}
