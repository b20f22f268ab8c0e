//! The shed layer.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use backpressure_core::limit::{Level, Outcome};
use tower_layer::Layer;

use super::classify::{ByClass, ByLevel, ByWaitTimeout, Bypass};
use super::gate::Gate;
use super::respond::ByOutcome;
use super::tenants::{ByTenant, TenantLevels};
use super::{Plain, Shed, ShedHandle};

/// Sheds calls that do not fit, before anything is done for them.
///
/// A call fits if the parts that are [watched](super::ShedLayerBuilder::watch) are not pressed, and if fewer calls are in flight than
/// the limit allows. The others are answered at once with [`Overloaded`](crate::Overloaded), which says why and when to come
/// back. Which calls go first is up to their [level](Self::level).
///
/// Everything is shared by all clones of the layer and by every service it makes: axum and tonic make many of them, one
/// for each route or connection, and they are limited together.
///
/// ```
/// use backpressure_tower::{ShedError, ShedLayer};
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let layer = ShedLayer::fixed(1)?;
/// let handle = layer.handle();
/// let echo = service_fn(|word: &'static str| async move { Ok::<_, std::io::Error>(word) });
/// let mut service = ServiceBuilder::new().layer(layer).service(echo);
///
/// let first = service.ready().await?.call("one");
/// let second = service.ready().await?.call("two");
/// assert!(matches!(second.await, Err(ShedError::Overloaded(_))));
/// assert_eq!(first.await?, "one");
/// assert_eq!(handle.counts().total(), 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "a layer does nothing by itself"]
pub struct ShedLayer<C = Plain, R = Plain> {
    gate: Arc<Gate>,
    classify: C,
    respond: R,
}

impl ShedLayer {
    pub(super) fn of(gate: Gate) -> Self {
        Self { gate: Arc::new(gate), classify: Plain, respond: Plain }
    }
}

impl<C, R> ShedLayer<C, R> {
    /// A handle on what this layer and its services share.
    pub fn handle(&self) -> ShedHandle {
        ShedHandle::of(Arc::clone(&self.gate))
    }

    /// Classifies requests, instead of what was said about them before.
    pub fn classify<C2>(self, classify: C2) -> ShedLayer<C2, R> {
        ShedLayer { gate: self.gate, classify, respond: self.respond }
    }

    /// How important a request is. Default: [`Critical`](backpressure_core::limit::Criticality::Critical), all alike.
    pub fn level<Req, F: Fn(&Req) -> Level>(self, level: F) -> ShedLayer<ByLevel<C, F>, R> {
        let classify = ByLevel { rest: self.classify, level };
        ShedLayer { gate: self.gate, classify, respond: self.respond }
    }

    /// Which requests do the same, by any key: their routes, or the backend that they need. Default: nobody knows.
    ///
    /// A class whose calls hang or fail, because its backend is dead, or that waits for something that only it needs, such as a pool,
    /// gets a limit of its own, so that it cannot take all slots from the others. Calls beyond that are shed for
    /// [`ShedReason::Class`](crate::ShedReason::Class). As long as nothing of the kind happens, a class changes nothing. The
    /// first 63 are kept apart; each that comes later shares the limit of one of them. Do not use what callers can choose: a path
    /// with a number in it is no route.
    ///
    /// Where calls [wait](super::ShedLayerBuilder::wait), one of a class that has as many as it may does not: it is shed. A
    /// backend that is dead would be waited for without an end, and without a bound on how many do.
    ///
    /// ```
    /// use backpressure_tower::ShedLayer;
    ///
    /// struct Request {
    ///     method: &'static str,
    ///     route: &'static str,
    /// }
    ///
    /// let layer = ShedLayer::adaptive().class_by(|request: &Request| (request.method, request.route));
    /// ```
    ///
    /// For axum there is `classes_by_route`, with the feature `axum`, and for gRPC `classes_by_method`, with the feature `grpc`.
    pub fn class_by<Req, K: Hash, F: Fn(&Req) -> K>(self, class: F) -> ShedLayer<ByClass<C, F>, R> {
        let classify = ByClass { rest: self.classify, class };
        ShedLayer { gate: self.gate, classify, respond: self.respond }
    }

    /// Whose a request is: the level inside its class follows from how much of the recent calls are that tenant's, so that one that
    /// floods is refused before the others are. Default: nobody's, all alike. See [`TenantLevels`].
    ///
    /// ```
    /// use backpressure_tower::ShedLayer;
    ///
    /// struct Request {
    ///     customer: u32,
    /// }
    ///
    /// let layer = ShedLayer::adaptive().tenant(|request: &Request| request.customer);
    /// ```
    pub fn tenant<Req, T: Hash, F: Fn(&Req) -> T>(self, tenant: F) -> ShedLayer<ByTenant<C, F>, R> {
        let classify = ByTenant { rest: self.classify, tenant, levels: TenantLevels::new() };
        ShedLayer { gate: self.gate, classify, respond: self.respond }
    }

    /// How long the caller of a request still waits for its answer. Default: nobody knows. It matters to those that wait in the short queue,
    /// and tells a call that is [cut](super::ShedLayerBuilder::timeout) from one that is cancelled.
    pub fn wait_timeout<Req, F: Fn(&Req) -> Option<Duration>>(
        self,
        wait_timeout: F,
    ) -> ShedLayer<ByWaitTimeout<C, F>, R> {
        let classify = ByWaitTimeout { rest: self.classify, wait_timeout };
        ShedLayer { gate: self.gate, classify, respond: self.respond }
    }

    /// Which requests go by the layer, such as health checks. Default: none.
    pub fn bypass<Req, F: Fn(&Req) -> bool>(self, passes: F) -> ShedLayer<Bypass<C, F>, R> {
        let classify = Bypass { rest: self.classify, passes };
        ShedLayer { gate: self.gate, classify, respond: self.respond }
    }

    /// How an answer counts for the limit. Default: an answer is an answer, errors included, unless the error is known to be
    /// a [timeout](crate::is_timeout).
    ///
    /// An error that is the caller's own must not be an overload, or bad requests would shrink the limit.
    pub fn outcome<Res, E, F: Fn(&Result<Res, E>) -> Outcome>(self, outcome: F) -> ShedLayer<C, ByOutcome<R, F>> {
        let respond = ByOutcome { rest: self.respond, outcome };
        ShedLayer { gate: self.gate, classify: self.classify, respond }
    }

    /// Adds something to what is said of requests.
    #[cfg(any(feature = "axum", feature = "grpc"))]
    pub(crate) fn classify_with<C2>(self, add: impl FnOnce(C) -> C2) -> ShedLayer<C2, R> {
        ShedLayer { gate: self.gate, classify: add(self.classify), respond: self.respond }
    }

    /// Answers in another protocol.
    #[cfg(feature = "http")]
    pub(crate) fn respond_with<R2>(self, respond: R2) -> ShedLayer<C, R2> {
        ShedLayer { gate: self.gate, classify: self.classify, respond }
    }
}

impl<S, C: Clone, R: Clone> Layer<S> for ShedLayer<C, R> {
    type Service = Shed<S, C, R>;

    fn layer(&self, inner: S) -> Shed<S, C, R> {
        Shed::new(inner, Arc::clone(&self.gate), self.classify.clone(), self.respond.clone())
    }
}

impl<C: Clone, R: Clone> Clone for ShedLayer<C, R> {
    fn clone(&self) -> Self {
        Self { gate: Arc::clone(&self.gate), classify: self.classify.clone(), respond: self.respond.clone() }
    }
}

impl<C, R> fmt::Debug for ShedLayer<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShedLayer").field("gate", &self.gate).finish_non_exhaustive()
    }
}
