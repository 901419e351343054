// What a script can ask of its own run.
import http from 'k6/http';
import exec from 'k6/execution';
import { check } from 'k6';

export const options = { vus: 2, iterations: 6, minIterationDuration: '20ms' };

const own = {};

export default function () {
  const { scenario, instance, vu, test } = exec;
  const again = own[scenario.iterationInTest];
  own[scenario.iterationInTest] = true;
  http.get(`${__ENV.HTTP}/asked`);
  check(exec, {
    scenario: () => scenario.name === 'default' && scenario.startTime <= Date.now() && scenario.progress >= 0,
    'no number twice': () => again === undefined && scenario.iterationInTest >= 0 && scenario.iterationInInstance >= 0,
    vu: () => vu.idInTest >= 1 && vu.idInTest === __VU && vu.iterationInInstance === __ITER && vu.iterationInScenario === __ITER,
    instance: () => instance.vusActive >= 1 && instance.vusInitialized >= 1 && instance.currentTestRunDuration > 0,
    counted: () => instance.iterationsCompleted >= 0 && instance.iterationsInterrupted === 0,
    test: () => test.options.minIterationDuration === '20ms' && test.options.scenarios.default.executor !== undefined,
  });
}
