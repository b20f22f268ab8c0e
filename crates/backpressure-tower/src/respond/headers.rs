//! Who asks, and for what: read from the head of a request.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backpressure_core::limit::{Criticality, Level};
use http::{HeaderMap, HeaderName, Request};
use tokio::time::Instant;

use crate::shed::{Class, Classify};

/// Classifies HTTP and gRPC requests by their path and headers.
///
/// * The [criticality](Criticality) is the value of `x-criticality` (or the header that was [chosen](Self::criticality)), such as
///   `sheddable-plus`. A request without it, or with one that is no criticality, is `critical`.
/// * The rank inside that class is the [tenant](Self::tenant)'s, if a header for it was chosen: a hash of the tenant's name
///   and of the hour. Under pressure some tenants are refused for an hour rather than everybody now and then, and not the
///   same ones for ever. All servers with the right time agree on which, so a request that passed one passes the next.
/// * Requests to [exempt](Self::exempt) paths, such as health checks and metrics, are neither refused nor counted.
/// * With the feature `grpc`, a request that waits is refused as soon as it cannot meet its `grpc-timeout`.
///
/// Headers say what their sender likes. At the edge of the trusted network they should be removed or overwritten.
///
/// ```
/// use backpressure_tower::{RequestHeaders, ShedLayer};
/// use http::HeaderName;
///
/// let classes = RequestHeaders::new().tenant(HeaderName::from_static("x-tenant")).exempt("/healthz").exempt("/metrics");
/// let layer = ShedLayer::adaptive().classify(classes).into_http();
/// ```
#[derive(Clone)]
pub struct RequestHeaders {
    criticality: HeaderName,
    tenant: Option<HeaderName>,
    exempt: Arc<[Box<str>]>,
    epoch: Epoch,
}

impl RequestHeaders {
    /// The criticality in `x-criticality`, no tenants, no exemptions.
    pub fn new() -> Self {
        Self {
            criticality: HeaderName::from_static("x-criticality"),
            tenant: None,
            exempt: Arc::new([]),
            epoch: Epoch::now(),
        }
    }

    /// The header that tells the criticality. Default `x-criticality`.
    pub fn criticality(self, header: HeaderName) -> Self {
        Self { criticality: header, ..self }
    }

    /// The header that names the tenant, or whoever it is that many requests come from. Default none: within a class all are
    /// equal. With one, requests without it rank first.
    pub fn tenant(self, header: HeaderName) -> Self {
        Self { tenant: Some(header), ..self }
    }

    /// A path that bypasses the layer, with everything below it: `/healthz`, or `/grpc.health.v1.Health` for gRPC. `/` is the
    /// root alone. The slash in front may be left out.
    pub fn exempt(self, path: &str) -> Self {
        let path = format!("/{}", path.trim_matches('/'));
        let exempt = self.exempt.iter().cloned().chain([path.into()]).collect();
        Self { exempt, ..self }
    }

    fn is_exempt(&self, path: &str) -> bool {
        let is_below = |exempt: &str| path.strip_prefix(exempt).is_some_and(|rest| rest.starts_with('/'));
        self.exempt.iter().any(|exempt| path == &**exempt || (&**exempt != "/" && is_below(exempt)))
    }

    fn level(&self, headers: &HeaderMap) -> Level {
        let value = headers.get(&self.criticality).and_then(|value| value.to_str().ok());
        let criticality = value.and_then(Criticality::from_name).unwrap_or_default();
        match self.tenant.as_ref().and_then(|tenant| headers.get(tenant)) {
            Some(tenant) => Level::of_tenant(criticality, fnv1a(tenant.as_bytes()), self.epoch.hour(Instant::now())),
            None => Level::from(criticality),
        }
    }
}

impl Default for RequestHeaders {
    fn default() -> Self {
        Self::new()
    }
}

impl<B> Classify<Request<B>> for RequestHeaders {
    fn classify(&self, request: &Request<B>) -> Class {
        if self.is_exempt(request.uri().path()) {
            return Class::Bypass;
        }
        #[cfg(feature = "grpc")]
        let patience = super::grpc::timeout(request.headers());
        #[cfg(not(feature = "grpc"))]
        let patience = None;
        Class::Call { level: self.level(request.headers()), patience }
    }
}

impl fmt::Debug for RequestHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHeaders")
            .field("criticality", &self.criticality)
            .field("tenant", &self.tenant)
            .field("exempt", &self.exempt)
            .finish_non_exhaustive()
    }
}

/// The time of day, looked up once; from then on the runtime's clock counts.
#[derive(Clone, Copy)]
struct Epoch {
    at: Instant,
    since_1970: Duration,
}

impl Epoch {
    fn now() -> Self {
        Self { at: Instant::now(), since_1970: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    fn hour(&self, now: Instant) -> u64 {
        self.since_1970.saturating_add(now.saturating_duration_since(self.at)).as_secs() / 3600
    }
}

/// Fowler, Noll and Vo's hash: the same in every process and every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: HeaderName = HeaderName::from_static("x-tenant");

    fn class(classes: &RequestHeaders, path: &str, headers: &[(&str, &str)]) -> Class {
        let request = Request::builder().uri(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        classes.classify(&request.body(()).unwrap())
    }

    fn level(classes: &RequestHeaders, headers: &[(&str, &str)]) -> Level {
        match class(classes, "/", headers) {
            Class::Call { level, .. } => level,
            Class::Bypass => panic!("nothing is exempt"),
        }
    }

    #[test]
    fn the_criticality_is_the_headers_and_critical_without() {
        let classes = RequestHeaders::new();
        assert_eq!(level(&classes, &[("x-criticality", "sheddable-plus")]), Criticality::SheddablePlus.into());
        assert_eq!(level(&classes, &[("x-criticality", "CRITICAL_PLUS")]), Criticality::CriticalPlus.into());
        assert_eq!(level(&classes, &[]), Criticality::Critical.into());
        assert_eq!(level(&classes, &[("x-criticality", "very")]), Criticality::Critical.into());
        let renamed = classes.criticality(HeaderName::from_static("importance"));
        assert_eq!(level(&renamed, &[("importance", "sheddable")]), Criticality::Sheddable.into());
    }

    #[test]
    fn tenants_are_told_apart_and_change_places_by_the_hour() {
        let mut classes = RequestHeaders::new().tenant(TENANT);
        let ranks = |classes: &RequestHeaders| -> Vec<u8> {
            (0..200).map(|n| level(classes, &[("x-tenant", &format!("tenant {n}"))]).rank()).collect()
        };
        let first = ranks(&classes);
        let different: std::collections::BTreeSet<_> = first.iter().collect();
        assert!(different.len() > 80, "200 tenants on 128 ranks: {}", different.len());
        assert_eq!(ranks(&classes.clone()), first);
        classes.epoch.since_1970 += Duration::from_secs(3600);
        assert_ne!(ranks(&classes), first);
        assert_eq!(level(&classes, &[]).rank(), 0);
    }

    #[test]
    fn k1_the_hour_is_the_clocks_and_never_goes_back() {
        let epoch = Epoch { at: Instant::now(), since_1970: Duration::from_secs(3599) };
        assert_eq!(epoch.hour(epoch.at), 0);
        assert_eq!(epoch.hour(epoch.at + Duration::from_secs(1)), 1);
        assert_eq!(epoch.hour(epoch.at.checked_sub(Duration::from_secs(1)).unwrap()), 0);
    }

    #[test]
    fn exempt_paths_are_whole_segments() {
        let classes = RequestHeaders::new().exempt("/healthz").exempt("/grpc.health.v1.Health/");
        let bypasses = |path| matches!(class(&classes, path, &[]), Class::Bypass);
        assert!(
            ["/healthz", "/healthz/live", "/healthz?full", "/grpc.health.v1.Health/Check"].into_iter().all(bypasses)
        );
        assert!(!["/", "/health", "/healthzz", "/a/healthz"].into_iter().any(bypasses));
        for root in ["/", ""].map(|path| RequestHeaders::new().exempt(path)) {
            assert!(matches!(class(&root, "/", &[]), Class::Bypass));
            assert!(["/work", "//work", "//"].iter().all(|path| matches!(class(&root, path, &[]), Class::Call { .. })));
        }
        let bare = RequestHeaders::new().exempt("healthz");
        assert!(matches!(class(&bare, "/healthz/live", &[]), Class::Bypass), "the first slash goes without saying");
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn the_patience_is_the_grpc_timeout() {
        let patience = |headers: &[_]| match class(&RequestHeaders::new(), "/", headers) {
            Class::Call { patience, .. } => patience,
            Class::Bypass => None,
        };
        assert_eq!(patience(&[("grpc-timeout", "250m")]), Some(Duration::from_millis(250)));
        assert_eq!(patience(&[]), None);
    }
}
