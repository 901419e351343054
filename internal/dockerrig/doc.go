// Package dockerrig runs a real Docker Engine for tests and for an example: a daemon of its own in network and mount
// namespaces of its own, with its files in one folder. The machine's own network, its images and its containers are never
// touched, no image comes from elsewhere, and nothing is left.
package dockerrig
