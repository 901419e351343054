// Package node is a small node for a cluster of package kuberig. It binds pods that nobody has bound, runs their containers
// in a real Docker Engine (package dockerrig) in the cluster's network namespace, keeps their statuses as a kubelet does, and
// on request has the real chaos-daemon beside it, which acts on those containers.
//
// What it knows of pods is what tests need: containers with commands, environments, probes of readiness, restart policies,
// and volumes of a few kinds; each pod has a sandbox that holds its network and its address. Images are imported into the
// engine by the test. A pod with the image kuberig.NoImage has no containers, and only a status.
//
// On request it also leads from the addresses of Services to their pods, as kube-proxy does, and InstallK6Operator installs the real k6
// operator, in a container like any other pod's.
package node
