// Package kuberig runs real parts of Kubernetes and of Chaos Mesh for tests. The k6 operator is installed by package node.
//
// Schemas is quick: the API server's part for custom resources, with definitions made of the types of Chaos Mesh's API, on a loopback
// address. It takes and refuses objects as a cluster does, and nothing acts on them.
//
// Start is a whole cluster in a network namespace of its own: etcd, kube-apiserver, Chaos Mesh's controllers with their
// webhooks, and on request kube-controller-manager. Its API is also reached from the test's own process and from programs
// that it starts, at a loopback address of its own. Nodes are package node's.
//
// The programs are built once for each version by tools/setup-kubernetes; see there where they are. Everything ends with the
// test, by its process id, also when the test is killed: then folders in the temporary one are left, and a node's control
// groups, which are empty.
package kuberig
