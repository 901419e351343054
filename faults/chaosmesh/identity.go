package chaosmesh

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gameday/faults"
	"gameday/faults/cluster"
)

// identityLimit bounds asking which cluster it is where nothing hangs on the answer.
const identityLimit = 5 * time.Second

// namespaceOfCluster is there as long as its cluster is, and in none but that has it the same uid.
const namespaceOfCluster = "kube-system"

// identity returns the uid of the cluster's namespace kube-system, which tells the cluster from all others, also from one that is reached
// by the same address. Where that may not be read, or is not there, it is empty and why says so. An error is that nobody can tell.
func (c *client) identity(ctx context.Context) (uid, why string, err error) {
	err = c.steadily(ctx, func(ctx context.Context) error {
		u, err := c.Resource(namespacesAt).Get(ctx, namespaceOfCluster, metav1.GetOptions{})
		if err == nil {
			uid = string(u.GetUID())
		}
		return err
	})
	switch {
	case apierrors.IsForbidden(err):
		return "", "nothing allows to get namespace " + namespaceOfCluster, nil
	case apierrors.IsNotFound(err):
		return "", "it has no namespace " + namespaceOfCluster, nil
	case err == nil && uid == "":
		return "", "its namespace " + namespaceOfCluster + " has no uid", nil
	}
	return uid, "", err
}

// glance is identity for somebody who goes on without.
func (c *client) glance(ctx context.Context) (uid, why string) {
	ctx, cancel := context.WithTimeout(ctx, identityLimit)
	defer cancel()
	uid, why, err := c.identity(ctx)
	if err != nil {
		why = oneLine(err.Error())
	}
	return uid, why
}

// reached says which cluster answers.
func (c *client) reached(ctx context.Context) cluster.Finding {
	uid, why := c.glance(ctx)
	f := cluster.Finding{What: aboutCluster, Fine: true, Cluster: uid, Summary: "reached " + c.config.Host + c.inContext()}
	if uid != "" {
		f.Summary += fmt.Sprintf(", whose namespace %s has uid %s", namespaceOfCluster, uid)
	} else {
		f.Summary += "; which cluster that is, but for its address, is unknown: " + why
	}
	return f
}

// sameCluster returns an error when what answers now is another cluster than the one in which the object was made. What cannot be compared
// is noted, and refused is nothing then.
func (u undo) sameCluster(ctx context.Context, c *client) error {
	if u.Cluster == "" {
		return nil // nobody could read it then
	}
	now, why, err := c.identity(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%s was made in the cluster whose namespace %s has uid %s; whether that is what answers at %s is not known: %w", u.title(),
			namespaceOfCluster, u.Cluster, c.config.Host, err)
	case why != "":
		faults.Note(ctx, fmt.Sprintf("lifted; that it was made in the cluster at %s is known by the address alone: %s", c.config.Host, why))
		return nil
	case now != u.Cluster:
		return fmt.Errorf("%s was made in the cluster whose namespace %s has uid %s, and what answers at %s%s now is another, whose has uid %s: nothing was "+
			"touched; let the kubeconfig lead to the first again%s", u.title(), namespaceOfCluster, u.Cluster, c.config.Host, c.inContext(), now, u.by())
	}
	return nil
}

// by names the kubeconfig that a revert goes by.
func (u undo) by() string {
	if u.Access.Kubeconfig == "" {
		return ""
	}
	return " (" + u.Access.Kubeconfig + ")"
}
