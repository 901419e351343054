// What the three kinds of shopper have in common.
import http from 'k6/http';

// SHOP is where the storefront answers. In the lab it is a host of that name; elsewhere set it: k6 run -e SHOP=…
export const SHOP = __ENV.SHOP || 'http://storefront:9101';

export const products = 12; // numbered from 1
export const oldReceipts = 1000; // entries a fresh ledger begins with, numbered from 1

const json = { 'Content-Type': 'application/json' };

// any returns a whole number from 1 to n.
export function any(n) {
  return 1 + Math.floor(Math.random() * n);
}

// get fetches a page. The name keeps /product/1, /product/2, … together as one kind of request.
export function get(path, name) {
  return http.get(SHOP + path, { tags: { name }, timeout: '3s' });
}

// post sends a JSON body.
export function post(path, body, name) {
  return http.post(SHOP + path, JSON.stringify(body), { headers: json, tags: { name }, timeout: '3s' });
}

// body returns a response's JSON, or an empty object when it is none: an error page must fail a check, not the script.
export function body(res) {
  try {
    return res.json() || {};
  } catch (_) {
    return {};
  }
}

// alone is the script's own schedule when k6 runs it without gameday, which brings its own schedule.
export function alone(exec, rate) {
  return {
    scenarios: {
      [exec]: {
        executor: 'constant-arrival-rate',
        exec,
        rate: Number(__ENV.RATE) || rate,
        duration: __ENV.DURATION || '10s',
        preAllocatedVUs: 20,
        maxVUs: 100,
      },
    },
  };
}
