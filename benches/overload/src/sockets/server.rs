//! A server under one of the guards.

use std::convert::Infallible;
use std::io::Read;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleError;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use backpressure_tower::ShedLayer;
use tokio::net::TcpListener;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::make::Shared;
use tower::util::{BoxCloneSyncService, MapResponseLayer};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_acc::{ConcurrencyLimitLayer, Gradient2, Vegas};

use super::pin::pin;
use super::work;

/// What stands in front of the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    None,
    /// `LoadShed` over `GlobalConcurrencyLimit`, with a good guess and with a bad one.
    TowerRight,
    TowerWrong,
    /// `LoadShed` over `ConcurrencyLimit` of `tower-acc`.
    AccVegas,
    AccGradient,
    Ours,
}

impl Guard {
    pub const ALL: [Self; 6] =
        [Self::None, Self::TowerRight, Self::TowerWrong, Self::AccVegas, Self::AccGradient, Self::Ours];

    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::TowerRight => "tower, limit 12",
            Self::TowerWrong => "tower, limit 200",
            Self::AccVegas => "tower-acc Vegas",
            Self::AccGradient => "tower-acc Gradient2",
            Self::Ours => "ShedLayer::adaptive",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|guard| guard.name() == name)
    }

    /// One service, whose clones serve the connections. Every guard's limit is shared by all of them, which a layer of
    /// axum's `Router` would not give `tower-acc`.
    fn around(self, app: Router) -> Guarded {
        let shed = || ServiceBuilder::new().load_shed();
        match self {
            Self::None => BoxCloneSyncService::new(app),
            Self::TowerRight => or_503(shed().layer(GlobalConcurrencyLimitLayer::new(12)).service(app)),
            Self::TowerWrong => or_503(shed().layer(GlobalConcurrencyLimitLayer::new(200)).service(app)),
            Self::AccVegas => or_503(shed().layer(ConcurrencyLimitLayer::new(Vegas::default())).service(app)),
            Self::AccGradient => or_503(shed().layer(ConcurrencyLimitLayer::new(Gradient2::default())).service(app)),
            Self::Ours => {
                let body = MapResponseLayer::new(|response: Response<_>| response.map(Body::new));
                let layers = ServiceBuilder::new().layer(body).layer(ShedLayer::adaptive().into_http());
                BoxCloneSyncService::new(layers.service(app))
            }
        }
    }
}

type Guarded = BoxCloneSyncService<Request, Response, Infallible>;

fn or_503<S>(service: S) -> Guarded
where
    S: Service<Request, Response = Response, Error = BoxError> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let refuse = |_: BoxError| async { StatusCode::SERVICE_UNAVAILABLE };
    BoxCloneSyncService::new(HandleError::new(service, refuse).map_response(|response: Response| response))
}

/// Serves on one core until standard input ends; `turns` are what it can spin in a millisecond.
pub fn serve(guard: Guard, turns: u64) -> Result<()> {
    pin(0);
    thread::spawn(|| {
        let mut rest = Vec::new();
        let ended = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(i32::from(ended.is_err()));
    });
    let handler = move || async move {
        work::spin(turns);
        tokio::time::sleep(Duration::from_millis(10)).await;
        work::spin(turns);
        "done"
    };
    let app = Router::new().route("/", get(handler));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?.port());
        Ok(axum::serve(listener, Shared::new(guard.around(app))).await?)
    })
}
