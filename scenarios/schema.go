package scenarios

import "github.com/hashicorp/hcl/v2"

// The blocks of a file, in the order of design and README. Attributes that refer to other blocks, and expressions that
// are evaluated while the run goes on, stay hcl.Expression.

type fileBlocks struct {
	Variables  []variableBlock `hcl:"variable,block"`
	Locals     []localsBlock   `hcl:"locals,block"`
	Alarms     []sourceBlock   `hcl:"alarms,block"`
	Responders []sourceBlock   `hcl:"responders,block"`
	SLIs       []namedBlock    `hcl:"sli,block"`
	Labs       []namedBlock    `hcl:"lab,block"`
	Scenarios  []namedBlock    `hcl:"scenario,block"`
}

// namedBlock is a block whose body is decoded once variables and locals are known.
type namedBlock struct {
	Name     string    `hcl:"name,label"`
	DefRange hcl.Range `hcl:",def_range"`
	Body     hcl.Body  `hcl:",remain"`
}

type variableBlock struct {
	Name        string         `hcl:"name,label"`
	Type        hcl.Expression `hcl:"type,optional"`
	Default     hcl.Expression `hcl:"default,optional"`
	Description string         `hcl:"description,optional"`
	DefRange    hcl.Range      `hcl:",def_range"`
}

type localsBlock struct {
	Body hcl.Body `hcl:",remain"`
}

type sourceBlock struct {
	Kind      string    `hcl:"kind,label"`
	Name      string    `hcl:"name,label"`
	DefRange  hcl.Range `hcl:",def_range"`
	KindRange hcl.Range `hcl:"kind,label_range"`
	Body      hcl.Body  `hcl:",remain"`
}

type sliBlock struct {
	Name     string         `hcl:"name,label"`
	Source   hcl.Expression `hcl:"source"`
	Query    string         `hcl:"query"`
	DefRange hcl.Range      `hcl:",def_range"`
}

type scenarioBlock struct {
	Name      string          `hcl:"name,label"`
	Summary   string          `hcl:"summary,optional"`
	Owner     string          `hcl:"owner,optional"`
	Blind     bool            `hcl:"blind,optional"`
	Names     bool            `hcl:"names,optional"`
	Lab       hcl.Expression  `hcl:"lab,optional"`
	Timeline  []timelineBlock `hcl:"timeline,block"`
	Control   []controlBlock  `hcl:"control,block"`
	Traffic   []trafficBlock  `hcl:"traffic,block"`
	Steady    []expectsBlock  `hcl:"steady_state,block"`
	Capacity  []capacityBlock `hcl:"capacity,block"`
	Targets   []targetBlock   `hcl:"target,block"`
	Faults    []faultBlock    `hcl:"fault,block"`
	Alarms    []alarmBlock    `hcl:"alarm,block"`
	Noise     []noiseBlock    `hcl:"noise,block"`
	Responses []responseBlock `hcl:"response,block"`
	Aborts    []abortBlock    `hcl:"abort,block"`
	Score     []scoreBlock    `hcl:"score,block"`
	SLIs      []namedBlock    `hcl:"sli,block"`

	Regression []regressionBlock `hcl:"regression,block"`
	Kubernetes []kubernetesBlock `hcl:"kubernetes,block"`
}

type timelineBlock struct {
	Baseline string    `hcl:"baseline"`
	Ramp     string    `hcl:"ramp,optional"`
	Load     string    `hcl:"load"`
	Recovery string    `hcl:"recovery"`
	DefRange hcl.Range `hcl:",def_range"`
	Body     hcl.Body  `hcl:",body"`
}

type controlBlock struct {
	For      *string   `hcl:"for,optional"`
	History  *string   `hcl:"history,optional"`
	DefRange hcl.Range `hcl:",def_range"`
	Body     hcl.Body  `hcl:",body"`
}

type trafficBlock struct {
	Name          string            `hcl:"name,label"`
	Script        *string           `hcl:"script,optional"`
	Multiple      *float64          `hcl:"multiple,optional"`
	KeepExecutors bool              `hcl:"keep_executors,optional"`
	MaxVUs        int               `hcl:"max_vus,optional"`
	Memory        string            `hcl:"memory,optional"`
	Env           map[string]string `hcl:"env,optional"`
	Base          string            `hcl:"base,optional"`
	Headers       hcl.Expression    `hcl:"headers,optional"`
	Timeout       *string           `hcl:"timeout,optional"`
	HTTP          string            `hcl:"http,optional"`
	Unix          string            `hcl:"unix,optional"`
	Connections   string            `hcl:"connections,optional"`
	TLS           []tlsBlock        `hcl:"tls,block"`
	Data          []dataBlock       `hcl:"data,block"`
	Requests      []requestBlock    `hcl:"request,block"`
	Flows         []flowBlock       `hcl:"flow,block"`
	Start         *string           `hcl:"start,optional"`
	Arrivals      *string           `hcl:"arrivals,optional"`
	Generators    hcl.Expression    `hcl:"generators,optional"`
	GeneratorHost []generatorBlock  `hcl:"generator_hosts,block"`
	RunOn         []runOnBlock      `hcl:"run_on,block"`
	Baseline      []baselineBlock   `hcl:"baseline,block"`
	Shapes        []shapeBlock      `hcl:"shape,block"`
	DefRange      hcl.Range         `hcl:",def_range"`
	Body          hcl.Body          `hcl:",body"`
}

// shapeBlock is decoded by its kind; see shapes.
type shapeBlock struct {
	Kind      string    `hcl:"kind,label"`
	DefRange  hcl.Range `hcl:",def_range"`
	KindRange hcl.Range `hcl:"kind,label_range"`
	Body      hcl.Body  `hcl:",remain"`
}

type expectsBlock struct {
	Expects  []expectBlock `hcl:"expect,block"`
	DefRange hcl.Range     `hcl:",def_range"`
}

type expectBlock struct {
	Name     string         `hcl:"name,label"`
	That     hcl.Expression `hcl:"that"`
	Over     string         `hcl:"over,optional"`
	Weight   *float64       `hcl:"weight,optional"`
	Required bool           `hcl:"required,optional"`
	DefRange hcl.Range      `hcl:",def_range"`
	Body     hcl.Body       `hcl:",body"`
}

type targetBlock struct {
	Name     string            `hcl:"name,label"`
	Pick     hcl.Expression    `hcl:"pick,optional"`
	AtMost   hcl.Expression    `hcl:"at_most,optional"`
	Labels   map[string]string `hcl:"labels,optional"`
	DefRange hcl.Range         `hcl:",def_range"`
	Whole    hcl.Body          `hcl:",body"`
	Body     hcl.Body          `hcl:",remain"`
}

type faultBlock struct {
	Kind           string         `hcl:"kind,label"`
	Name           string         `hcl:"name,label"`
	Target         hcl.Expression `hcl:"target,optional"`
	Between        hcl.Expression `hcl:"between,optional"`
	At             *string        `hcl:"at,optional"`
	After          hcl.Expression `hcl:"after,optional"`
	Wait           *string        `hcl:"wait,optional"`
	Duration       *string        `hcl:"duration,optional"`
	Lease          *string        `hcl:"lease,optional"`
	RestartsWithin *string        `hcl:"restarts_within,optional"`
	SteadyWithin   *string        `hcl:"steady_within,optional"`
	Expects        []expectBlock  `hcl:"expect,block"`
	DefRange       hcl.Range      `hcl:",def_range"`
	KindRange      hcl.Range      `hcl:"kind,label_range"`
	Whole          hcl.Body       `hcl:",body"`
	Rest           hcl.Body       `hcl:",remain"`
}

type alarmBlock struct {
	Name         string            `hcl:"name,label"`
	Source       hcl.Expression    `hcl:"source"`
	Match        map[string]string `hcl:"match,optional"`
	Cause        hcl.Expression    `hcl:"cause,optional"`
	FiresWithin  *string           `hcl:"fires_within,optional"`
	PagesVia     hcl.Expression    `hcl:"pages_via,optional"`
	PagesWithin  *string           `hcl:"pages_within,optional"`
	ClearsWithin *string           `hcl:"clears_within,optional"`
	MaxFlaps     *int              `hcl:"max_flaps,optional"`
	First        bool              `hcl:"first,optional"`
	Expect       *string           `hcl:"expect,optional"`
	Labels       map[string]string `hcl:"labels,optional"`
	Annotations  []string          `hcl:"annotations,optional"`
	Links        []string          `hcl:"links,optional"`
	Receiver     string            `hcl:"receiver,optional"`
	Weight       *float64          `hcl:"weight,optional"`
	Required     bool              `hcl:"required,optional"`
	DefRange     hcl.Range         `hcl:",def_range"`
	Body         hcl.Body          `hcl:",body"`
}

type noiseBlock struct {
	Watch  map[string]string `hcl:"watch"`
	Allow  []string          `hcl:"allow,optional"`
	AtMost int               `hcl:"at_most,optional"`
	Pages  map[string]string `hcl:"pages,optional"`
	Person *int              `hcl:"per_person,optional"`
	Weight *float64          `hcl:"weight,optional"`
	// Collateral are the labels of alarms on what depends on the faults' targets.
	Collateral []map[string]string `hcl:"collateral,optional"`
	DefRange   hcl.Range           `hcl:",def_range"`
	Body       hcl.Body            `hcl:",body"`
}

type responseBlock struct {
	Name        string         `hcl:"name,label"`
	Source      hcl.Expression `hcl:"source"`
	To          hcl.Expression `hcl:"to"`
	Also        hcl.Expression `hcl:"also,optional"`
	Ack         *string        `hcl:"ack,optional"`
	Acknowledge []stepBlock    `hcl:"acknowledge,block"`
	Escalate    []stepBlock    `hcl:"escalate,block"`
	Engage      []stepBlock    `hcl:"engage,block"`
	Bridge      []stepBlock    `hcl:"bridge,block"`
	Channel     []stepBlock    `hcl:"channel,block"`
	Runbook     []stepBlock    `hcl:"runbook,block"`
	Customers   []stepBlock    `hcl:"customers,block"`
	PostMortem  []stepBlock    `hcl:"postmortem,block"`
	Diagnose    []stepBlock    `hcl:"diagnose,block"`
	Mitigate    []stepBlock    `hcl:"mitigate,block"`
	Marks       []markBlock    `hcl:"mark,block"`
	Without     []markBlock    `hcl:"without,block"`
	Resolve     []stepBlock    `hcl:"resolve,block"`
	DefRange    hcl.Range      `hcl:",def_range"`
	Body        hcl.Body       `hcl:",body"`
}

// stepBlock is every block of a response without a label; each takes some of the attributes, see taken.
type stepBlock struct {
	Within       string    `hcl:"within"`
	Level        int       `hcl:"level,optional"`
	OnCall       bool      `hcl:"on_call,optional"`
	ToLevel      int       `hcl:"to_level,optional"`
	Team         string    `hcl:"team,optional"`
	OnlyAfter    *string   `hcl:"only_after,optional"`
	People       int       `hcl:"people,optional"`
	Roles        []string  `hcl:"roles,optional"`
	Expect       string    `hcl:"expect,optional"`
	AfterService bool      `hcl:"after_service,optional"`
	MinEvidence  string    `hcl:"min_evidence,optional"`
	Weight       *float64  `hcl:"weight,optional"`
	Required     bool      `hcl:"required,optional"`
	DefRange     hcl.Range `hcl:",def_range"`
	Body         hcl.Body  `hcl:",body"`
}

// markBlock is a mark block, or a without block, which takes use as well.
type markBlock struct {
	Name        string    `hcl:"name,label"`
	Within      string    `hcl:"within"`
	Use         string    `hcl:"use,optional"`
	MinEvidence string    `hcl:"min_evidence,optional"`
	Weight      *float64  `hcl:"weight,optional"`
	Required    bool      `hcl:"required,optional"`
	DefRange    hcl.Range `hcl:",def_range"`
	Body        hcl.Body  `hcl:",body"`
}

type abortBlock struct {
	Name     string            `hcl:"name,label"`
	When     hcl.Expression    `hcl:"when,optional"`
	Incident hcl.Expression    `hcl:"incident,optional"`
	Match    map[string]string `hcl:"match,optional"`
	Held     *string           `hcl:"held,optional"`
	Over     string            `hcl:"over,optional"`
	DefRange hcl.Range         `hcl:",def_range"`
	Body     hcl.Body          `hcl:",body"`
}

type scoreBlock struct {
	Pass     *float64           `hcl:"pass,optional"`
	Weights  map[string]float64 `hcl:"weights,optional"`
	DefRange hcl.Range          `hcl:",def_range"`
	Body     hcl.Body           `hcl:",body"`
}

type builtinBlock struct {
	Notify hcl.Expression `hcl:"notify,optional"`
	Pages  *string        `hcl:"pages,optional"`
	Repeat *string        `hcl:"repeat,optional"`
	Rules  []ruleBlock    `hcl:"rule,block"`
	Body   hcl.Body       `hcl:",body"`
}

type ruleBlock struct {
	Name        string            `hcl:"name,label"`
	When        hcl.Expression    `hcl:"when"`
	Over        string            `hcl:"over,optional"`
	Held        *string           `hcl:"held,optional"`
	Keep        *string           `hcl:"keep,optional"`
	Labels      map[string]string `hcl:"labels,optional"`
	Annotations map[string]string `hcl:"annotations,optional"`
	DefRange    hcl.Range         `hcl:",def_range"`
	Body        hcl.Body          `hcl:",body"`
}
