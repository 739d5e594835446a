//! The admission webhook, with kube's types: blue lamps are denied, those without a note get one, bright ones warn.
use crate::lamp::{Colour, Lamp};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kube::api::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use rustls_pki_types::PrivateKeyDer;
use std::{convert::Infallible, error::Error, net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// Serves it with a certificate of its own, which it writes where those who configure the webhook find it.
pub async fn serve(listen: SocketAddr, certificate: PathBuf) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(listen).await?;
    let acceptor = acceptor(listen, certificate)?;
    loop {
        let (connection, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(connection) = acceptor.accept(connection).await else { return };
            let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service_fn(answer));
            if let Err(e) = served.await {
                println!("the webhook: {e}");
            }
        });
    }
}

fn acceptor(listen: SocketAddr, certificate: PathBuf) -> Result<TlsAcceptor, Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed([listen.ip().to_string()])?;
    std::fs::write(certificate, made.cert.pem())?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?.with_no_client_auth();
    Ok(TlsAcceptor::from(Arc::new(config.with_single_cert(vec![made.cert.der().clone()], key)?)))
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let judge = match request.uri().path() {
        "/mutate" => mutate,
        "/validate" => validate,
        _ => return Ok(with_status(StatusCode::NOT_FOUND, Bytes::new())),
    };
    let reviewed = match request.into_body().collect().await {
        Ok(body) => review(&body.to_bytes(), judge),
        Err(e) => Err(e.into()),
    };
    Ok(match reviewed {
        Ok(body) => with_status(StatusCode::OK, body),
        Err(e) => with_status(StatusCode::BAD_REQUEST, e.to_string().into()),
    })
}

fn with_status(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}

type Judge = fn(&AdmissionRequest<Lamp>) -> Result<AdmissionResponse, Box<dyn Error>>;

fn review(body: &[u8], judge: Judge) -> Result<Bytes, Box<dyn Error>> {
    let review: AdmissionReview<Lamp> = serde_json::from_slice(body)?;
    let request: AdmissionRequest<Lamp> = review.try_into()?;
    let answer: AdmissionReview<DynamicObject> = judge(&request)?.into_review();
    Ok(serde_json::to_vec(&answer)?.into())
}

fn mutate(request: &AdmissionRequest<Lamp>) -> Result<AdmissionResponse, Box<dyn Error>> {
    let response = AdmissionResponse::from(request);
    let noted = request.object.as_ref().is_none_or(|lamp| lamp.spec.note.is_some());
    if noted {
        return Ok(response);
    }
    let patch = serde_json::from_value(serde_json::json!([{"op": "add", "path": "/spec/note", "value": "noted by the webhook"}]))?;
    Ok(response.with_patch(patch)?)
}

fn validate(request: &AdmissionRequest<Lamp>) -> Result<AdmissionResponse, Box<dyn Error>> {
    let mut response = AdmissionResponse::from(request);
    let Some(lamp) = &request.object else { return Ok(response) };
    if lamp.spec.brightness > 90 {
        response.warnings = Some(vec!["that is bright".to_owned()]);
    }
    if lamp.spec.colour == Colour::Blue {
        response = response.deny("there are no blue lamps");
    }
    Ok(response)
}
