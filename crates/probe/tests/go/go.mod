module sternpost/probe/tests/go

go 1.26
