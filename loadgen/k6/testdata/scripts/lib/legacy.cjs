// A module as they were before import.
const prices = require('./prices.js');

exports.tag = function (row) {
  return `${row.name}: ${prices.default(row).toFixed(2)} ${prices.currency}`;
};
