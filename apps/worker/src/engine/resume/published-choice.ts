export {
  addDelta,
  nothingPublished,
  type PublishedChoice,
  publishedChoices,
  saysTheSame,
} from "@quern/shared/contract/published-choice";
