//! Before the messages of gRPC.

use super::behind;
use crate::case::{Case, Tolerance};
use crate::cases::grpc::{BOTH, BOTH_UP, DOWN, Method, UP, down, down_coalesced, up, up_coalesced};

const WINDOW: &str = "the window, tonic's encoder and the channel";
const SETTING: &str = "the capacity, and the receiver's window";

pub fn cases() -> Vec<Case> {
    let case = |name, lies, setting, start| Case { name, lies, setting, tolerance: Tolerance::Counted, start };
    let before = |name, start| case(name, WINDOW, SETTING, start);
    vec![
        before("`.backpressure(16).spawn()` before tonic's server streaming", |reach| {
            let source = reach.ready();
            behind(reach, source, |reach, stream| down(reach, Method::of(stream), DOWN, false))
        }),
        before("`.backpressure(16).spawn()` before tonic's server streaming, adaptive window", |reach| {
            let source = reach.ready();
            behind(reach, source, |reach, stream| down(reach, Method::of(stream), DOWN, true))
        }),
        before("`.backpressure(16).spawn()` before tonic's client streaming", |reach| {
            let source = reach.ready();
            behind(reach, source, |reach, stream| up(reach, stream, UP))
        }),
        before("`.backpressure(16).spawn()` before tonic, both ways, down", |reach| {
            let source = reach.ready();
            behind(reach, source, |reach, stream| down(reach, Method::of(stream), BOTH, false))
        }),
        before("`.backpressure(16).spawn()` before tonic, both ways, up", |reach| {
            let source = reach.ready();
            behind(reach, source, |reach, stream| up(reach, stream, BOTH_UP))
        }),
        before(
            "`.backpressure(16).spawn()` before tonic's server streaming, one by one, `CoalescedBody` around it",
            |reach| {
                let source = reach.singly();
                behind(reach, source, |reach, stream| down_coalesced(reach, Method::of(stream)))
            },
        ),
        before(
            "`.backpressure(16).spawn()` before tonic's client streaming, one by one, `CoalescedBody` around it",
            |reach| {
                let source = reach.singly();
                behind(reach, source, up_coalesced)
            },
        ),
        case(
            "`CoalescedBody` under tonic's server streaming, one by one",
            "the receiver's hyper: a window",
            "the client's window",
            |reach| {
                let method = Method::new(&reach, true);
                down_coalesced(reach, method)
            },
        ),
    ]
}
