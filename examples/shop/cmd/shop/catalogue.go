package main

// product is something to buy.
type product struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
	Cents  int    `json:"cents"`
}

// catalogue is all there is.
var catalogue = []product{
	{1, "storm lantern", 3490},
	{2, "tin whistle", 890},
	{3, "wool blanket", 5900},
	{4, "folding map", 1250},
	{5, "brass compass", 2790},
	{6, "camp stove", 6450},
	{7, "enamel mug", 1150},
	{8, "hemp rope, 10 m", 1890},
	{9, "whetstone", 1690},
	{10, "signal mirror", 990},
	{11, "oilskin hat", 3950},
	{12, "field notebook", 750},
}

// find returns the product with the number.
func find(number int) (product, bool) {
	if number < 1 || number > len(catalogue) {
		return product{}, false
	}
	return catalogue[number-1], true
}
