//! A TCP load balancer in front of kube-apiservers.
