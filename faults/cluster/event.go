package cluster

// Event is what becomes a Kubernetes Event about the Job or the pod that a game day runs in: its verdict, for whoever looks there.
// Nothing is answered but an error.
type Event struct {
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"` // "Job" or "Pod"
	Name      string `json:"name"`
	UID       string `json:"uid"`
	Instance  string `json:"instance,omitempty"` // the pod that says it
	Reason    string `json:"reason"`             // "GameDayPassed", in the form that Kubernetes asks for
	Message   string `json:"message"`            // one line
	Warning   bool   `json:"warning,omitempty"`  // of type Warning, and not Normal
}
