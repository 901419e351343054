// Time: timers, promises, and sleep.
import http from 'k6/http';
import { setTimeout, clearTimeout, setInterval, clearInterval } from 'k6/timers';
import { check, sleep } from 'k6';

export const options = { vus: 2, iterations: 6 };

export default async function () {
  let ticks = 0;
  const began = Date.now();
  await new Promise((done) => {
    const id = setInterval(() => {
      if (++ticks === 3) {
        clearInterval(id);
        done();
      }
    }, 10);
  });
  const missed = setTimeout(() => { ticks = -1; }, 10_000);
  clearTimeout(missed);
  sleep(0.02);
  const answer = await new Promise((done) => {
    setTimeout(() => done(http.get(`${__ENV.HTTP}/quick`)), 10);
  });
  check(answer, { ticks: () => ticks === 3 && Date.now() - began >= 50, 'in time': (a) => a.status === 200 });
}
