// No request at all: the iterations are what is counted, and those that throw have failed.
import exec from 'k6/execution';

export const options = { vus: 1, iterations: 8 };

export default function () {
  if (exec.scenario.iterationInTest % 4 === 3) {
    throw new Error('every fourth');
  }
}
