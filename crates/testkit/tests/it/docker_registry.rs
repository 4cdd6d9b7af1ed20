use schleuse_testkit::{DockerRegistry, Proxy};

use super::client::{ask, status};

#[test]
fn it_answers_also_through_the_proxy_and_stops() {
    let registry = DockerRegistry::start();
    let proxy = Proxy::start(registry.address());
    for address in [registry.address(), proxy.address()] {
        assert_eq!(status(&ask(address, "GET", "/v2/", "", "")), Some(200));
    }
    assert!(registry.folder().exists());
    let address = registry.address();
    drop(registry);
    assert!(std::net::TcpStream::connect(address).is_err());
}
