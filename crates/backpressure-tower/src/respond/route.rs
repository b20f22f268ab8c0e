//! The classes of HTTP and gRPC requests.

#[cfg(feature = "axum")]
use axum::extract::MatchedPath;
use http::Request;

use crate::hash::hash_of;
use crate::shed::{Class, Classify, ShedLayer};

#[cfg(feature = "axum")]
impl<C, R> ShedLayer<C, R> {
    /// Requests of one method and route of axum are a [class](Self::class_by), so that a route whose backend is dead does not take
    /// all slots from the others. Those that no route matches are of none. To be said after
    /// [`classify`](Self::classify), which replaces what was said before.
    ///
    /// The route is axum's [`MatchedPath`], which only layers inside of the router see: it goes into `Router::layer`, not around
    /// the router. Where a router is nested, the layer belongs to the outer one.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use backpressure_tower::{RequestHeaders, ShedLayer};
    ///
    /// let layer = ShedLayer::adaptive().classify(RequestHeaders::new().exempt("/live")).classes_by_route();
    /// let router: Router = Router::new()
    ///     .route("/live", get("yes"))
    ///     .route("/users/{id}", get("from the database"))
    ///     .route("/search", get("from the index"))
    ///     .layer(layer.into_http());
    /// ```
    pub fn classes_by_route(self) -> ShedLayer<ByRoute<C>, R> {
        self.classify_with(|rest| ByRoute { rest })
    }
}

#[cfg(feature = "grpc")]
impl<C, R> ShedLayer<C, R> {
    /// Calls of one gRPC method are a [class](Self::class_by), so that a method whose backend is dead does not take all slots from
    /// the others. To be said after [`classify`](Self::classify), which replaces what was said before.
    ///
    /// The method is the path of the request, so this is not for other requests than gRPC's. Methods that do not exist are classes,
    /// too: there are no more than 63, and the rest share them.
    ///
    /// ```
    /// use backpressure_tower::ShedLayer;
    /// use tonic::transport::Server;
    ///
    /// let server = Server::builder().layer(ShedLayer::adaptive().classes_by_method().into_grpc());
    /// # let _ = server;
    /// ```
    pub fn classes_by_method(self) -> ShedLayer<ByMethod<C>, R> {
        self.classify_with(|rest| ByMethod { rest })
    }
}

/// Made by [`ShedLayer::classes_by_route`].
#[cfg(feature = "axum")]
#[derive(Debug, Clone, Copy)]
pub struct ByRoute<C> {
    rest: C,
}

#[cfg(feature = "axum")]
impl<B, C: Classify<Request<B>>> Classify<Request<B>> for ByRoute<C> {
    fn classify(&self, request: &Request<B>) -> Class {
        self.rest.classify(request)
    }

    fn key(&self, request: &Request<B>) -> Option<u64> {
        let route = request.extensions().get::<MatchedPath>()?;
        Some(hash_of(&(request.method(), route.as_str())))
    }
}

/// Made by [`ShedLayer::classes_by_method`].
#[cfg(feature = "grpc")]
#[derive(Debug, Clone, Copy)]
pub struct ByMethod<C> {
    rest: C,
}

#[cfg(feature = "grpc")]
impl<B, C: Classify<Request<B>>> Classify<Request<B>> for ByMethod<C> {
    fn classify(&self, request: &Request<B>) -> Class {
        self.rest.classify(request)
    }

    fn key(&self, request: &Request<B>) -> Option<u64> {
        Some(hash_of(request.uri().path()))
    }
}

#[cfg(all(test, feature = "axum", feature = "grpc", feature = "tonic"))]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Body;
    use axum::routing::any;
    use http::Method;
    use tower::ServiceExt;
    use tower::util::MapRequestLayer;

    use super::*;
    use crate::shed::Plain;

    #[tokio::test(start_paused = true)]
    async fn a_class_is_a_method_and_a_route_and_what_no_route_matches_has_none() {
        let keys: Arc<Mutex<Vec<Option<u64>>>> = Arc::default();
        let seen = Arc::clone(&keys);
        let look = MapRequestLayer::new(move |request: Request<Body>| {
            seen.lock().unwrap().push(ByRoute { rest: Plain }.key(&request));
            request
        });
        let users = Router::new().route("/users/{id}", any("one"));
        let router = Router::new().route("/users", any("all")).nest("/v1", users).layer(look);
        for (method, path) in [
            (Method::GET, "/v1/users/1"),
            (Method::GET, "/v1/users/2"),
            (Method::PUT, "/v1/users/2"),
            (Method::GET, "/users"),
            (Method::GET, "/nothing/17"),
        ] {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap();
        }
        let keys = keys.lock().unwrap().clone();
        assert!(keys[..4].iter().all(Option::is_some) && keys[4].is_none(), "{keys:?}");
        assert_eq!(keys[0], keys[1], "the number is no part of the route");
        assert!(keys[1] != keys[2] && keys[1] != keys[3]);
    }

    #[test]
    fn a_class_is_a_grpc_method() {
        let key = |path: &str| ByMethod { rest: Plain }.key(&Request::post(path).body(()).unwrap());
        assert_eq!(key("/test.Play/Act"), key("http://localhost:1/test.Play/Act"));
        assert_ne!(key("/test.Play/Act"), key("/test.Play/Stream"));
    }
}
