import { beforeEach, describe, expect, it } from "vitest";
import type { Cell } from "../protocol.js";
import { CALM, LOOK, PATIENCE, RequestQueue, TIMEOUT } from "./requests.js";

/** Time that passes when told to. */
class Clock {
  #now = 0;
  #due: { at: number; callback: () => void }[] = [];

  timer = (milliseconds: number, callback: () => void) => {
    const entry = { at: this.#now + milliseconds, callback };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((other) => other !== entry);
    };
  };

  pass(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (;;) {
      const next = this.#due.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#due = this.#due.filter((other) => other !== next);
      this.#now = next.at;
      next.callback();
    }
    this.#now = end;
  }

  get waiting(): number {
    return this.#due.length;
  }
}

let clock: Clock;
let sent: [seq: number, cell: Cell][];
let reachable: boolean;
let idle: boolean;
let changes: number;
let queue: RequestQueue;

beforeEach(() => {
  clock = new Clock();
  sent = [];
  reachable = true;
  idle = false;
  changes = 0;
  queue = new RequestQueue({
    send: (seq, cell) => {
      if (reachable) sent.push([seq, cell]);
      return reachable;
    },
    timer: clock.timer,
    idle: () => idle,
    changed: () => changes++,
  });
});

describe("back-pressure", () => {
  it("sends the first request at once", () => {
    queue.ask([3, 1]);
    expect(sent).toEqual([[1, [3, 1]]]);
    expect(queue.phase).toBe("sent");
    expect(queue.wanted).toEqual([3, 1]);
  });

  it("holds back all others while one is in flight, and then sends the newest", () => {
    for (let x = 0; x < 100; x++) queue.ask([x, 1]);
    expect(sent.length).toBe(1);
    queue.acknowledge(1);
    expect(sent.length).toBe(1);
    queue.finish(1);
    expect(sent).toEqual([
      [1, [0, 1]],
      [2, [99, 1]],
    ]);
  });

  it("lets calm requests rest for a moment, and sends only the newest", () => {
    for (let x = 0; x < 5; x++) queue.ask([x, 1], true);
    expect([sent, queue.phase, queue.wanted]).toEqual([[], "sent", [4, 1]]);
    clock.pass(CALM);
    expect(sent).toEqual([[1, [4, 1]]]);
    queue.ask([5, 1], true);
    queue.finish(1);
    expect([sent.length, queue.phase, queue.wanted]).toEqual([1, "sent", [5, 1]]);
    clock.pass(CALM);
    expect(sent[1]).toEqual([2, [5, 1]]);
    queue.ask([6, 1], true);
    clock.pass(CALM);
    expect(sent.length).toBe(2); // the one before is still under way
    queue.finish(2);
    expect(sent[2]).toEqual([3, [6, 1]]);
    queue.finish(3);
    expect([queue.phase, queue.wanted]).toEqual(["idle", null]);
  });

  it("sends at once what somebody waits for, in place of what rests", () => {
    queue.ask([1, 1], true);
    queue.ask([2, 1]);
    clock.pass(CALM);
    expect(sent).toEqual([[1, [2, 1]]]);
    queue.finish(1);
    queue.ask([3, 1], true);
    queue.reset();
    clock.pass(CALM);
    expect([sent.length, queue.phase, clock.waiting]).toEqual([1, "idle", 0]);
  });

  it("is idle after the last answer", () => {
    queue.ask([3, 1]);
    queue.finish(1);
    expect(queue.phase).toBe("idle");
    expect(queue.wanted).toBeNull();
    expect(clock.waiting).toBe(0);
  });

  it("sends the same cell again when it is asked for again", () => {
    queue.ask([3, 1]);
    queue.ask([3, 1]);
    queue.finish(1);
    queue.finish(2);
    queue.ask([3, 1]);
    expect(sent.map(([seq]) => seq)).toEqual([1, 2, 3]);
  });

  it("never has two in flight, whatever is asked and answered in whatever order", () => {
    let flying = 0;
    let answers = 0;
    const busy = new RequestQueue({
      send: (seq) => {
        expect(flying).toBe(0);
        flying = seq;
        return true;
      },
      timer: clock.timer,
      idle: () => false,
      changed: () => {},
    });
    let state = 7;
    const random = (below: number) => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return Math.floor((state / 2147483648) * below);
    };
    for (let step = 0; step < 2000; step++) {
      const kind = random(4);
      if (kind < 2) busy.ask([random(9), random(5)]);
      if (kind === 2) busy.finish(random(flying)); // an older one
      if (kind === 3 && flying) {
        const answered = flying;
        flying = 0;
        answers++;
        busy.finish(answered);
      }
    }
    expect(answers).toBeGreaterThan(300);
  });

  it("takes no notice of answers to older requests", () => {
    queue.ask([3, 1]);
    queue.finish(1);
    queue.ask([4, 1]);
    queue.finish(1);
    queue.acknowledge(1);
    expect(queue.wanted).toEqual([4, 1]);
    expect(queue.phase).toBe("sent");
  });
});

describe("before the acknowledgement", () => {
  it("waits, says so, and sends nothing again", () => {
    queue.ask([3, 1]);
    clock.pass(PATIENCE);
    expect(queue.phase).toBe("waiting");
    expect(changes).toBe(1);
    clock.pass(100 * TIMEOUT);
    queue.ask([4, 1]);
    clock.pass(100 * TIMEOUT);
    expect(sent.length).toBe(1);
    expect(queue.phase).toBe("waiting");
  });

  it("goes on with the newest request when the kernel is free again", () => {
    queue.ask([3, 1]);
    clock.pass(TIMEOUT);
    queue.ask([4, 1]);
    queue.acknowledge(1);
    expect(queue.phase).toBe("working");
    queue.finish(1);
    expect(sent.at(-1)).toEqual([2, [4, 1]]);
  });

  it("counts the time from another sign of life, for then the request is lost", () => {
    queue.ask([3, 1]);
    clock.pass(3 * TIMEOUT);
    queue.alive();
    clock.pass(TIMEOUT - 1);
    expect(sent.length).toBe(1);
    clock.pass(1);
    expect(sent).toEqual([
      [1, [3, 1]],
      [2, [3, 1]],
    ]);
  });
});

describe("a kernel that is idle and has not acknowledged", () => {
  it("has never heard of the request: it is sent once more, and then given up", () => {
    idle = true;
    queue.ask([3, 1]);
    clock.pass(PATIENCE + 2 * LOOK - 1);
    expect(sent.length).toBe(1);
    clock.pass(1);
    expect(sent.at(-1)).toEqual([2, [3, 1]]);
    clock.pass(PATIENCE + 2 * LOOK);
    expect(sent.length).toBe(2);
    expect(queue.phase).toBe("lost");
    expect(clock.waiting).toBe(0);
  });

  it("hears of the newest request", () => {
    idle = true;
    queue.ask([3, 1]);
    queue.ask([4, 1]);
    clock.pass(PATIENCE + 2 * LOOK);
    expect(sent.at(-1)).toEqual([2, [4, 1]]);
  });

  it("is left alone while it runs something in between", () => {
    queue.ask([3, 1]);
    for (let k = 0; k < 50; k++) {
      idle = true;
      clock.pass(LOOK);
      idle = false;
      clock.pass(LOOK);
    }
    expect(sent.length).toBe(1);
  });

  it("is left alone once it has acknowledged", () => {
    idle = true;
    queue.ask([3, 1]);
    clock.pass(PATIENCE + LOOK);
    queue.acknowledge(1);
    clock.pass(TIMEOUT - 1);
    expect(sent.length).toBe(1);
    expect(queue.phase).toBe("working");
  });
});

describe("an answer that stays away after the acknowledgement", () => {
  it("is waited for, visibly", () => {
    queue.ask([3, 1]);
    queue.acknowledge(1);
    clock.pass(PATIENCE);
    expect(queue.phase).toBe("working");
    expect(changes).toBe(1);
  });

  it("makes way for the pending request", () => {
    queue.ask([3, 1]);
    queue.acknowledge(1);
    queue.ask([4, 1]);
    clock.pass(TIMEOUT);
    expect(sent.at(-1)).toEqual([2, [4, 1]]);
  });

  it("is asked for once more, and then given up", () => {
    queue.ask([3, 1]);
    queue.acknowledge(1);
    clock.pass(TIMEOUT);
    expect(sent.at(-1)).toEqual([2, [3, 1]]);
    queue.acknowledge(2);
    clock.pass(TIMEOUT);
    expect(sent.length).toBe(2);
    expect(queue.phase).toBe("lost");
    expect(clock.waiting).toBe(0);
    queue.ask([3, 1]);
    expect(sent.at(-1)).toEqual([3, [3, 1]]);
  });

  it("is not overdue while the kernel reports progress", () => {
    queue.ask([3, 1]);
    queue.acknowledge(1);
    for (let k = 0; k < 10; k++) {
      clock.pass(TIMEOUT - 1);
      queue.alive();
    }
    expect(sent.length).toBe(1);
    queue.finish(1);
    expect(queue.phase).toBe("idle");
  });

  it("takes back the loss when it comes after all", () => {
    queue.ask([3, 1]);
    queue.acknowledge(1);
    clock.pass(TIMEOUT);
    queue.acknowledge(2);
    clock.pass(TIMEOUT);
    queue.finish(2);
    expect(queue.phase).toBe("idle");
  });
});

describe("without a kernel", () => {
  it("is idle again when sending fails, with nothing left to send", () => {
    reachable = false;
    queue.ask([3, 1]);
    expect(queue.phase).toBe("idle");
    expect(queue.wanted).toBeNull();
    expect(clock.waiting).toBe(0);
    reachable = true;
    queue.ask([4, 1]);
    expect(sent.at(-1)?.[1]).toEqual([4, 1]);
  });

  it("forgets everything on reset", () => {
    queue.ask([3, 1]);
    queue.ask([4, 1]);
    queue.reset();
    clock.pass(10 * TIMEOUT);
    expect(sent.length).toBe(1);
    expect(queue.phase).toBe("idle");
  });
});
