// One trajectory in steps: prompt, thoughts, tool calls, rules, answer, verdict. `text(place)` comes from the page's data.

/** "safe" and the like as a coloured word; the word itself carries the meaning. To refuse what is harmful is good. */
function badge(outcome, kind) {
  const good = kind === "harmful" && outcome === "refused";
  return make("span", `badge ${good ? "safe" : outcome}`, words(outcome));
}

/** A titled step of the conversation. */
function step(title, className, ...children) {
  return make("section", `step ${className}`, make("h4", "", title), ...children);
}

/** The rules a consultation returned. */
function ruleTable(rules) {
  if (!rules.length) return make("p", "missing", "No rule was returned.");
  const rows = rules.map(([similarity, id, rule]) => {
    const share = make("td", "similarity", similarity === null ? "–" : `${(100 * similarity).toFixed(1)} %`);
    const body = make("td", "", prose(text(rule)));
    return make("tr", "", share, make("td", "rule-id", text(id)), body);
  });
  const head = ["Similarity", "Rule", "Text"].map((name) => {
    const cell = make("th", "", name);
    cell.scope = "col";
    return cell;
  });
  return make("table", "rules", make("thead", "", make("tr", "", ...head)), make("tbody", "", ...rows));
}

/** The prompt as the model saw it; a system message is folded away. */
function promptSteps(entry) {
  return entry.prompt.map((message) => {
    const body = prose(text(message.text));
    if (message.role !== "system") return step(message.role === "user" ? "Prompt" : words(message.role), "ask", body);
    const fold = make("details", "", make("summary", "", "System prompt"), body);
    return make("section", "step system", fold);
  });
}

/** The model's turns and what the tool answered. */
function turnSteps(entry) {
  const steps = [];
  let thoughts = 0;
  const several = entry.turns.filter((turn) => "thought" in turn).length > 1;
  entry.turns.forEach((turn, index) => {
    const last = index === entry.turns.length - 1;
    if ("thought" in turn) {
      thoughts += 1;
      steps.push(step(several ? `Thought ${thoughts}` : "Thought", "thought", prose(text(turn.thought))));
    }
    if (turn.role === "tool") {
      if (turn.error) steps.push(step("Tool reported a fault", "fault", prose("text" in turn ? text(turn.text) : "")));
      else if (turn.rules) steps.push(step("Rules returned", "result", ruleTable(turn.rules)));
      else steps.push(step("Tool result", "result", prose("text" in turn ? text(turn.text) : "")));
    } else if ("text" in turn) {
      const answer = last && entry.answered;
      const title = answer ? "Answer" : last ? `Text without an answer (${words(entry.stop || "unknown")})` : "Text";
      steps.push(step(title, answer ? "answer" : "text", prose(text(turn.text))));
    }
    for (const call of turn.calls || []) {
      const name = make("code", "tool-name", call.name);
      steps.push(step("Tool call", "call", name, prose(text(call.arguments), "code")));
    }
  });
  if (!entry.turns.length) steps.push(make("p", "missing", "The model wrote nothing."));
  return steps;
}

/** Terms and values in a row; empty values are left out. */
function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return make("dl", "facts", ...shown.map(([term, value]) => make("div", "", make("dt", "", term), make("dd", "", value))));
}

const yesNo = (value) => (value === null || value === undefined ? null : value ? "yes" : "no");

/** The judge's verdict. */
function verdictStep(entry) {
  const verdict = entry.verdict;
  if (!verdict) return null;
  const list = facts([
    ["Judge", verdict.judge],
    ["Safe", yesNo(verdict.safe)],
    ["Refusal", verdict.refusal && words(verdict.refusal)],
    ["Correct", yesNo(verdict.correct)],
    ["Expected", entry.expected],
    ["Claims a consultation", verdict.claims_consultation ? "yes, without a call" : "no"],
  ]);
  return step("Verdict", "verdict", list, verdict.reason ? prose(verdict.reason) : null);
}

/** What training made of a rollout: the reward and its parts, the advantage and the weight. */
function rewardStep(entry) {
  const reward = entry.reward;
  const used = entry.advantage !== undefined || entry.weight !== undefined;
  if (!reward && !used) return null;
  const parts = reward
    ? [
        ["Reward", figure(reward.total)],
        ["Safety", figure(reward.safety)],
        ["Compliance", figure(reward.compliance)],
        ["Fault penalty", figure(reward.faults)],
        ["Hallucination", `× ${figure(reward.hallucination)}`],
        ["Format", `× ${figure(reward.format)}`],
      ]
    : [];
  parts.push(["Advantage", used ? figure(entry.advantage) : null], ["Weight", used ? figure(entry.weight) : null]);
  return step("Reward", "reward", facts(parts));
}

/** The texts a record is found by: everything but the system prompt, which all records of a variant share. */
function textsOf(entry) {
  const places = [entry.title];
  for (const message of entry.prompt) if (message.role !== "system") places.push(message.text);
  for (const turn of entry.turns) {
    for (const key of ["thought", "text"]) if (key in turn) places.push(turn[key]);
    for (const call of turn.calls || []) places.push(call.arguments);
    for (const rule of turn.rules || []) places.push(rule[1], rule[2]);
  }
  return places;
}
