package chaosmesh

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
)

// kindTypes are the kinds of Chaos Mesh's API that this build knows, each with its Go type.
var kindTypes = sync.OnceValue(func() map[string]reflect.Type {
	scheme := runtime.NewScheme()
	if err := v1alpha1.SchemeBuilder.AddToScheme(scheme); err != nil {
		panic(err) // two types of one name: a build that cannot work
	}
	out := map[string]reflect.Type{}
	for kind, t := range scheme.KnownTypes(v1alpha1.SchemeGroupVersion) {
		if _, is := reflect.New(t).Interface().(kube.Object); is {
			out[kind] = t
		}
	}
	return out
})

// kindNames are the names of all kinds of the API, in order.
func kindNames() []string { return slices.Sorted(maps.Keys(kindTypes())) }

// faultKinds are those that do something to somebody: the rest are bookkeeping.
func faultKinds() []string {
	var out []string
	for kind, k := range v1alpha1.AllKindsIncludeScheduleAndWorkflow() {
		_, chaos := k.SpawnObject().(v1alpha1.InnerObject)
		if chaos || kind == v1alpha1.KindSchedule || kind == v1alpha1.KindWorkflow {
			out = append(out, kind)
		}
	}
	slices.Sort(out)
	return out
}

// member is one field of an object as JSON has it.
type member struct {
	name     string
	typ      reflect.Type
	required bool
}

var memberCache sync.Map // reflect.Type → map[string]member

// membersOf returns the fields of a struct by their names in JSON, those of embedded structs among them, as encoding/json finds them:
// the one that is embedded least deeply counts.
func membersOf(t reflect.Type) map[string]member {
	if known, ok := memberCache.Load(t); ok {
		return known.(map[string]member)
	}
	out := map[string]member{}
	for level := []reflect.Type{t}; len(level) > 0; {
		var next []reflect.Type
		here := map[string]member{}
		for _, s := range level {
			for i := range s.NumField() {
				f := s.Field(i)
				name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
				switch {
				case name == "-":
				case f.Anonymous && name == "":
					next = append(next, bare(f.Type))
				case !f.IsExported():
				default:
					if name == "" {
						name = f.Name
					}
					here[name] = member{name: name, typ: f.Type, required: needed(s, name, options)}
				}
			}
		}
		for name, m := range here {
			if _, hidden := out[name]; !hidden {
				out[name] = m
			}
		}
		level = next
	}
	memberCache.Store(t, out)
	return out
}

// needed reports whether a field must be given. Only Chaos Mesh's own types show it by their tags; of Kubernetes' own, an API server says.
func needed(s reflect.Type, name, options string) bool {
	return s.PkgPath() == chaosPackage && !strings.Contains(options, "omitempty") && !optional[s.Name()+"."+name]
}

var chaosPackage = reflect.TypeFor[v1alpha1.PodChaos]().PkgPath()

// bare is a type without its pointers.
func bare(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// optional are fields that may be absent although their tags do not show it: their type's markers say so. TestRealSchemas
// compares what follows from tags and this list with the schemas of Chaos Mesh.
var optional = map[string]bool{
	"Workflow.status": true, "KernelChaos.status": true,
	"ScheduleSpec.concurrencyPolicy": true, "ChaosOnlyScheduleSpec.concurrencyPolicy": true,
	"JVMParameter.name": true, "JVMParameter.returnValue": true, "JVMParameter.exception": true, "JVMParameter.latency": true, "JVMParameter.ruleData": true,
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// ownJSON reports whether a type reads JSON in its own way.
func ownJSON(t reflect.Type) bool { return reflect.PointerTo(t).Implements(unmarshaler) }

// wordsOf are the words that a value of a type may be, for types that stand for a choice; nil for others.
func wordsOf(t reflect.Type) []string { return choices[t] }

func words[T ~string](list ...T) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return out
}

var choices = map[reflect.Type][]string{
	reflect.TypeFor[v1alpha1.SelectorMode](): words(v1alpha1.OneMode, v1alpha1.AllMode, v1alpha1.FixedMode, v1alpha1.FixedPercentMode,
		v1alpha1.RandomMaxPercentMode),
	reflect.TypeFor[v1alpha1.PodChaosAction](): words(v1alpha1.PodKillAction, v1alpha1.PodFailureAction, v1alpha1.ContainerKillAction),
	reflect.TypeFor[v1alpha1.NetworkChaosAction](): words(v1alpha1.NetemAction, v1alpha1.DelayAction, v1alpha1.LossAction, v1alpha1.DuplicateAction,
		v1alpha1.CorruptAction, v1alpha1.PartitionAction, v1alpha1.BandwidthAction),
	reflect.TypeFor[v1alpha1.NetworkChaosPartitionBehavior](): words(v1alpha1.DropPartitionBehavior, v1alpha1.RejectPartitionBehavior),
	reflect.TypeFor[v1alpha1.Direction]():                     words(v1alpha1.To, v1alpha1.From, v1alpha1.Both),
	reflect.TypeFor[v1alpha1.DNSChaosAction]():                words(v1alpha1.ErrorAction, v1alpha1.RandomAction),
	reflect.TypeFor[v1alpha1.IOChaosType]():                   words(v1alpha1.IoLatency, v1alpha1.IoFaults, v1alpha1.IoAttrOverride, v1alpha1.IoMistake),
	reflect.TypeFor[v1alpha1.FillingType]():                   words(v1alpha1.Zero, v1alpha1.Random),
	reflect.TypeFor[v1alpha1.AWSChaosAction]():                words(v1alpha1.Ec2Stop, v1alpha1.Ec2Restart, v1alpha1.DetachVolume),
	reflect.TypeFor[v1alpha1.GCPChaosAction]():                words(v1alpha1.NodeStop, v1alpha1.NodeReset, v1alpha1.DiskLoss),
	reflect.TypeFor[v1alpha1.AzureChaosAction]():              words(v1alpha1.AzureVmStop, v1alpha1.AzureVmRestart, v1alpha1.AzureDiskDetach),
	reflect.TypeFor[v1alpha1.BlockChaosAction]():              words(v1alpha1.BlockDelay),
	reflect.TypeFor[v1alpha1.PodHttpChaosTarget]():            words(v1alpha1.PodHttpRequest, v1alpha1.PodHttpResponse),
	reflect.TypeFor[v1alpha1.JVMChaosAction](): words(v1alpha1.JVMLatencyAction, v1alpha1.JVMReturnAction, v1alpha1.JVMExceptionAction,
		v1alpha1.JVMStressAction, v1alpha1.JVMGCAction, v1alpha1.JVMRuleDataAction, v1alpha1.JVMMySQLAction),
	reflect.TypeFor[v1alpha1.StatusCheckMode]():            words(v1alpha1.StatusCheckSynchronous, v1alpha1.StatusCheckContinuous),
	reflect.TypeFor[v1alpha1.StatusCheckType]():            words(v1alpha1.TypeHTTP),
	reflect.TypeFor[v1alpha1.HTTPRequestMethod]():          {"GET", "POST"},
	reflect.TypeFor[v1alpha1.ConcurrencyPolicy]():          words(v1alpha1.ForbidConcurrent, v1alpha1.AllowConcurrent),
	reflect.TypeFor[v1alpha1.PhysicalMachineChaosAction](): machineActions,
}

// machineActions are the actions of PhysicalMachineChaos that its schema takes; the types have more.
var machineActions = words(v1alpha1.PMStressCPUAction, v1alpha1.PMStressMemAction, v1alpha1.PMDiskReadPayloadAction,
	v1alpha1.PMDiskWritePayloadAction, v1alpha1.PMDiskFillAction, v1alpha1.PMNetworkCorruptAction, v1alpha1.PMNetworkDuplicateAction,
	v1alpha1.PMNetworkLossAction, v1alpha1.PMNetworkDelayAction, v1alpha1.PMNetworkPartitionAction, v1alpha1.PMNetworkDNSAction,
	v1alpha1.PMNetworkBandwidthAction, v1alpha1.PMNetworkFloodAction, v1alpha1.PMNetworkDownAction, v1alpha1.PMProcessAction,
	v1alpha1.PMJVMExceptionAction, v1alpha1.PMJVMGCAction, v1alpha1.PMJVMLatencyAction, v1alpha1.PMJVMReturnAction, v1alpha1.PMJVMStressAction,
	v1alpha1.PMJVMRuleDataAction, v1alpha1.PMJVMMySQLAction, v1alpha1.PMClockAction, v1alpha1.PMRedisExpirationAction,
	v1alpha1.PMRedisPenetrationAction, v1alpha1.PMRedisCacheLimitAction, v1alpha1.PMRedisSentinelRestartAction, v1alpha1.PMRedisSentinelStopAction,
	v1alpha1.PMKafkaFillAction, v1alpha1.PMKafkaFloodAction, v1alpha1.PMKafkaIOAction, v1alpha1.PMFileCreateAction,
	v1alpha1.PMFileModifyPrivilegeAction, v1alpha1.PMFileDeleteAction, v1alpha1.PMFileRenameAction, v1alpha1.PMFileAppendAction,
	v1alpha1.PMFileReplaceAction, v1alpha1.PMVMAction, v1alpha1.PMUserDefinedAction)
