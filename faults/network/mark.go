package network

import "gameday/faults/internal/netns"

// undo is what the ledger holds of the table that a fault adds.
type undo = netns.Undo

// tablePrefix begins the name of every table of this package.
const tablePrefix = "gameday-"
