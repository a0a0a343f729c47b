// What holds a Pod's namespaces, for the tests.
module sternpost/tests/kubernetes/pause

go 1.26.0
