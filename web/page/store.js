// Holds the state, and tells of every change. What follows from a change may be the next one.

/** `reduce(state, event)` gives the next state; `dispatch({ type, … })` is the only way to it. */
export function createStore(reduce, initial) {
  let state = initial;
  const followers = new Set();
  let stale = false;
  return {
    get state() {
      return state;
    },

    dispatch(event) {
      state = reduce(state, event);
      if (stale) return;
      // Once for all that happens at once.
      stale = true;
      queueMicrotask(() => {
        stale = false;
        for (const follower of followers) follower(state);
      });
    },

    /** Calls back after every change, with the state. */
    follow(follower) {
      followers.add(follower);
    },
  };
}
