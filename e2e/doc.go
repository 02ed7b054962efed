//go:build e2e || rdma

// Package e2e runs real Spark jobs on hosts in network namespaces (scripts/cluster), with and without weft, and breaks things in the
// middle of them. It needs root, the build and the Sparks of `make test-spark`. With the build tag rdma alone it is jobs in two guests with
// soft-RoCE, a part of `make test-rdma`. It uses weft as its users do, by the two jars, the program
// and what they print; it imports nothing of weft but the form of its status, and the script and record
// of random faults.
package e2e
