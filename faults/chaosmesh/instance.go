package chaosmesh

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/faults/node"
)

const (
	onInstances = "an instance of a cloud"
	// notInside says why nothing but a restart has a counterpart there.
	notInside = "Chaos Mesh restarts and stops instances, and takes volumes away by a manifest of your own; for what happens inside, use a host or machine target"
)

// Ways in which a cloud restarts an instance, as node_restart's how names them.
const (
	inOrder = "reboot"
	atOnce  = "power"
)

// instanceObject returns what a fault becomes on a virtual machine of a cloud: those know of being restarted and stopped.
func instanceObject(kind string, config faults.Config, i *faults.Instance) (*object, error) {
	r, ok := config.(*node.Restart)
	if !ok {
		return nil, &impossible{kind: kind, where: onInstances, why: notInside}
	}
	if i.Namespace == "" {
		return nil, fmt.Errorf("node_restart: the instance's target has no namespace to put the object in")
	}
	stop := r.DownFor != ""
	meta := v1.ObjectMeta{Namespace: i.Namespace}
	var secret *string
	if i.Secret != "" {
		secret = &i.Secret
	}
	o := &object{lapses: stop, oneShot: !stop}
	restarts := inOrder
	switch {
	case i.AWS != nil:
		chaos := &v1alpha1.AWSChaos{ObjectMeta: meta, Spec: v1alpha1.AWSChaosSpec{Action: v1alpha1.Ec2Restart, SecretName: secret,
			AWSSelector: v1alpha1.AWSSelector{AWSRegion: i.AWS.Region, Ec2Instance: i.AWS.Instance}}}
		if stop {
			chaos.Spec.Action = v1alpha1.Ec2Stop
		}
		o.kind, o.made = v1alpha1.KindAWSChaos, chaos
	case i.GCP != nil:
		chaos := &v1alpha1.GCPChaos{ObjectMeta: meta, Spec: v1alpha1.GCPChaosSpec{Action: v1alpha1.NodeReset, SecretName: secret,
			GCPSelector: v1alpha1.GCPSelector{Project: i.GCP.Project, Zone: i.GCP.Zone, Instance: i.GCP.Instance}}}
		if restarts = atOnce; stop {
			chaos.Spec.Action = v1alpha1.NodeStop
		}
		o.kind, o.made = v1alpha1.KindGCPChaos, chaos
	case i.Azure != nil:
		chaos := &v1alpha1.AzureChaos{ObjectMeta: meta, Spec: v1alpha1.AzureChaosSpec{Action: v1alpha1.AzureVmRestart,
			AzureSelector: v1alpha1.AzureSelector{SubscriptionID: i.Azure.Subscription, ResourceGroupName: i.Azure.ResourceGroup,
				VMName: i.Azure.VM, SecretName: secret}}}
		if stop {
			chaos.Spec.Action = v1alpha1.AzureVmStop
		}
		o.kind, o.made = v1alpha1.KindAzureChaos, chaos
	default:
		return nil, fmt.Errorf("node_restart: the instance's target names no cloud")
	}
	return finishRestart(o, r, restarts, stop)
}

// finishRestart refuses what the cloud cannot do and says how it ends.
func finishRestart(o *object, r *node.Restart, restarts string, stop bool) (*object, error) {
	if stop {
		restarts = inOrder // every cloud tells the machine before it stops it
		o.ends = r.Ends()
		o.note = "The instance is told to stop, and to start again after down_for; how long the cloud takes for either is up to it."
	} else {
		o.note = "The instance is restarted at once, which nothing undoes: it boots by itself. Chaos Mesh tells that the cloud was asked, and not that the instance is back."
	}
	err := refuse(
		unsupported{r.How != "" && r.How != restarts, "how", fmt.Sprintf("Here %s knows how = %q alone. Write that, or leave how out.", o.kind, restarts)},
		unsupported{len(r.Units) > 0, "units", "Chaos Mesh does not see into an instance, so it cannot wait for systemd units. Leave units out."})
	if err != nil {
		return nil, err
	}
	return o, nil
}
