// Package native sends the requests of flows without a script, in a child process: HTTP/1.1, HTTP/2 and unary gRPC, on the
// same schedule, in the same windows as scripts.
//
//	Spec.Flows ──compile──▶ program ──▶ crew: arrivals ─queue─▶ users, each with its own connections ──▶ tally
//
// HTTP/1.1 is the hot path: a user writes a request that was put together beforehand, reads the answer through fasthttp's
// parser on the connection it keeps, and allocates nothing. HTTP/2 goes through net/http and gRPC through grpc-go, where one
// connection carries the requests of many users.
package native
