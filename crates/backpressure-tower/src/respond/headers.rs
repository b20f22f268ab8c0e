//! The caller, its importance and its deadline, read from the head of a request.

use std::fmt;
use std::sync::Arc;

use backpressure_core::limit::{Criticality, Level};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request};

use crate::shed::{Class, Classify, TenantLevels};

/// Classifies HTTP and gRPC requests by their path and headers.
///
/// * With the feature `grpc`, a request that waits is refused as soon as it cannot meet its `grpc-timeout`.
/// * Requests to [exempt](Self::exempt) paths, such as health checks and metrics, are neither refused nor counted.
/// * The [criticality](Criticality) of a request from a sender that is [trusted](Self::trust_if) is the value of `x-criticality`
///   (or of the header that was [chosen](Self::criticality)), such as `sheddable-plus`. Every other request is `critical`:
///   one without the header, one whose value is no criticality, and one whose sender is not trusted.
/// * The rank inside that class is the [tenant](Self::tenant)'s, if a header for it was chosen: the more of the recent requests
///   are its own, the lower it is. Under pressure the tenant that floods is refused before the others are. See
///   [`TenantLevels`].
///
/// # Whom to trust
///
/// Headers say what their sender likes. Nobody is trusted by default, so that a client cannot make its own requests
/// more important than those of others. Call [`trust_if`](Self::trust_if) where the server can tell a gateway or a peer of its
/// own from a client, and [`trust_all`](Self::trust_all) where every request comes through a gateway that removes these headers
/// or sets them itself.
///
/// ```
/// use backpressure_tower::{RequestHeaders, ShedLayer};
/// use http::HeaderName;
///
/// let classes = RequestHeaders::new().exempt("/healthz").exempt("/metrics");
/// let layer = ShedLayer::adaptive().classify(classes).into_http();
///
/// // Behind a gateway that sets both headers.
/// let classes = RequestHeaders::new().trust_all().tenant(HeaderName::from_static("x-tenant"));
/// let layer = ShedLayer::adaptive().classify(classes).into_http();
/// ```
#[derive(Clone)]
pub struct RequestHeaders {
    trust: Trust,
    criticality: HeaderName,
    tenant: Option<HeaderName>,
    tenants: TenantLevels,
    exempt: Arc<[Box<str>]>,
}

/// Whose headers say how important a request is.
#[derive(Clone)]
enum Trust {
    Nobody,
    Everybody,
    If(Arc<IsTrusted>),
}

type IsTrusted = dyn Fn(&HeaderMap, &Extensions) -> bool + Send + Sync;

impl RequestHeaders {
    /// Nobody is trusted, no tenants, no exemptions.
    pub fn new() -> Self {
        Self {
            trust: Trust::Nobody,
            criticality: HeaderName::from_static("x-criticality"),
            tenant: None,
            tenants: TenantLevels::new(),
            exempt: Arc::new([]),
        }
    }

    /// Trusts the criticality and the tenant in requests for which `is_trusted` answers true. Default: in none.
    ///
    /// It is given the headers and the extensions of the request. The extensions are where servers put the address or the
    /// certificate of the peer: `ConnectInfo` in axum, `TcpConnectInfo` and `TlsConnectInfo` in tonic. A secret in a header
    /// does, too. It is asked once for each request that is not exempt, and should be cheap.
    ///
    /// ```
    /// use std::net::{IpAddr, SocketAddr};
    /// use backpressure_tower::RequestHeaders;
    ///
    /// let gateway = IpAddr::from([10, 0, 0, 7]);
    /// let classes = RequestHeaders::new()
    ///     .trust_if(move |_, extensions| extensions.get::<SocketAddr>().is_some_and(|peer| peer.ip() == gateway));
    /// ```
    pub fn trust_if(self, is_trusted: impl Fn(&HeaderMap, &Extensions) -> bool + Send + Sync + 'static) -> Self {
        Self { trust: Trust::If(Arc::new(is_trusted)), ..self }
    }

    /// Trusts the criticality and the tenant in every request. Only for a server that nobody can reach but through a gateway
    /// that removes these headers from what clients send, or sets them itself.
    pub fn trust_all(self) -> Self {
        Self { trust: Trust::Everybody, ..self }
    }

    /// The header that tells the criticality, if its sender is [trusted](Self::trust_if). Default `x-criticality`.
    pub fn criticality(self, header: HeaderName) -> Self {
        Self { criticality: header, ..self }
    }

    /// The header that names the tenant, or whoever it is that many requests come from, if its sender is
    /// [trusted](Self::trust_if). Default none: within a class all are equal.
    ///
    /// With one, all requests that name none, or that are not trusted to, are those of one more tenant: leaving the header
    /// out gains nothing.
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

    fn level(&self, headers: &HeaderMap, extensions: &Extensions) -> Level {
        let is_trusted = match &self.trust {
            Trust::Nobody => false,
            Trust::Everybody => true,
            Trust::If(is_trusted) => is_trusted(headers, extensions),
        };
        let trusted = |header| headers.get(header).filter(|_| is_trusted);
        let value = trusted(&self.criticality).and_then(|value| value.to_str().ok());
        let criticality = value.and_then(Criticality::from_name).unwrap_or_default();
        let Some(tenant) = &self.tenant else { return Level::from(criticality) };
        let name = trusted(tenant).map_or(&b""[..], HeaderValue::as_bytes);
        self.tenants.level(name, criticality)
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
        let wait_timeout = super::grpc::timeout(request.headers());
        #[cfg(not(feature = "grpc"))]
        let wait_timeout = None;
        Class::Call { level: self.level(request.headers(), request.extensions()), wait_timeout }
    }
}

impl fmt::Debug for RequestHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHeaders")
            .field("trust", &self.trust)
            .field("criticality", &self.criticality)
            .field("tenant", &self.tenant)
            .field("exempt", &self.exempt)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Everybody => "Everybody",
            Self::If(_) => "If(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "grpc")]
    use std::time::Duration;

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
    fn a_priority_is_the_default_for_whoever_is_not_trusted() {
        let forged = [("x-criticality", "critical-plus"), ("x-tenant", "the best"), ("importance", "critical-plus")];
        let chosen = RequestHeaders::new().criticality(HeaderName::from_static("importance"));
        for classes in [RequestHeaders::new(), RequestHeaders::default(), chosen] {
            assert_eq!(level(&classes, &forged), Level::default());
        }
        let tenants = RequestHeaders::new().tenant(TENANT);
        assert!((0..300).all(|_| level(&tenants, &[]).criticality() == Criticality::Critical));
        let plain = level(&tenants, &[]);
        for n in 0..200 {
            let forged = [("x-criticality", "critical-plus"), ("x-tenant", &*format!("tenant {n}"))];
            assert_eq!(level(&tenants, &forged), plain, "it is no better than others, whatever it says");
        }
    }

    #[test]
    fn a_priority_is_read_from_whoever_is_trusted_and_nobody_else() {
        let classes = RequestHeaders::new().trust_if(|headers, peer| {
            peer.get::<u16>() == Some(&7) || headers.get("x-secret").is_some_and(|secret| secret == "s3cret")
        });
        let level_from = |peer: u16| {
            let request = Request::builder().header("x-criticality", "critical-plus").extension(peer);
            match classes.classify(&request.body(()).unwrap()) {
                Class::Call { level, .. } => level,
                Class::Bypass => panic!("nothing is exempt"),
            }
        };
        assert_eq!([level_from(7), level_from(8)], [Level::FIRST, Level::default()]);
        let level_with = |secret| level(&classes, &[("x-criticality", "critical-plus"), ("x-secret", secret)]);
        assert_eq!([level_with("s3cret"), level_with("guess")], [Level::FIRST, Level::default()]);
    }

    #[test]
    fn the_criticality_is_the_headers_and_critical_without() {
        let classes = RequestHeaders::new().trust_all();
        assert_eq!(level(&classes, &[("x-criticality", "sheddable-plus")]), Criticality::SheddablePlus.into());
        assert_eq!(level(&classes, &[("x-criticality", "CRITICAL_PLUS")]), Criticality::CriticalPlus.into());
        assert_eq!(level(&classes, &[]), Criticality::Critical.into());
        assert_eq!(level(&classes, &[("x-criticality", "very")]), Criticality::Critical.into());
        let renamed = classes.criticality(HeaderName::from_static("importance"));
        assert_eq!(level(&renamed, &[("importance", "sheddable")]), Criticality::Sheddable.into());
    }

    #[test]
    fn the_tenant_that_floods_goes_last_and_requests_without_one_are_those_of_one_more() {
        let classes = RequestHeaders::new().trust_all().tenant(TENANT);
        let rank = |headers: &[_]| level(&classes.clone(), headers).rank();
        for n in 0..3000 {
            rank(if n % 10 == 0 { &[("x-tenant", "quiet")] } else { &[] });
        }
        let (quiet, flood) = (rank(&[("x-tenant", "quiet")]), rank(&[]));
        assert_eq!((quiet, flood), (0, 2));
        assert_eq!(rank(&[("x-tenant", "")]), flood);
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
        let wait_timeout = |headers: &[_]| match class(&RequestHeaders::new(), "/", headers) {
            Class::Call { wait_timeout, .. } => wait_timeout,
            Class::Bypass => None,
        };
        assert_eq!(wait_timeout(&[("grpc-timeout", "250m")]), Some(Duration::from_millis(250)));
        assert_eq!(wait_timeout(&[]), None);
    }
}
